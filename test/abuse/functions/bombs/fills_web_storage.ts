// Fills what needs no permission and still comes to lie on a disk: the Cache API; 320 MB at most.
export default async () => {
  const bytes = new Uint8Array(8 * 1024 * 1024).fill(1);
  let written = 0;
  try {
    const cache = await caches.open('bomb');
    for (let count = 0; count < 40; count++) {
      await cache.put(`http://bomb/${count}`, new Response(bytes));
      written += bytes.length;
    }
  } catch (error) {
    return { written, refused: String(error) };
  }
  return { written, refused: null };
};
