// Fills the memory outside the heap, touching every page.
export default () => {
  const held = [];
  for (;;) held.push(new Uint8Array(16 * 1024 * 1024).fill(1));
};
