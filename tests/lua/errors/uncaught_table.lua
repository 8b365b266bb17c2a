-- An error object that has no text.
print("before") --> before
error({ code = 2 }) --! (error object is a table value)
