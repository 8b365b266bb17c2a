// The service worker: keeps one build's files and answers from them, so that the page opens without a network. `vite.config.js` fills in the
// version and the list. A new build has another version: its worker fetches its files, and removes the old ones when it takes over.
const cacheName = `evermoon-${'VERSION'}`;
const files = ['FILES'];

self.addEventListener('install', (event) => {
  event.waitUntil(
    caches
      .open(cacheName)
      .then((cache) => cache.addAll(files.map((file) => new Request(file, { cache: 'reload' }))))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener('activate', (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((n) => n.startsWith('evermoon-') && n !== cacheName).map((n) => caches.delete(n))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || new URL(request.url).origin !== self.location.origin) return;
  const wanted = request.mode === 'navigate' ? './' : request;
  event.respondWith(
    caches.open(cacheName).then((cache) => cache.match(wanted, { ignoreSearch: true, ignoreVary: true }).then((found) => found ?? fetch(request))),
  );
});
