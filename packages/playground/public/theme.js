// Runs before the first paint, so that a chosen theme does not flash. See src/theme.ts.
try {
  const theme = localStorage.getItem('evermoon.theme');
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // No storage: as the system says.
}
