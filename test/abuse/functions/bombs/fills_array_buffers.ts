// Fills the memory outside the heap, touching every page; 2 GiB at most.
export default () => {
  const held = [];
  for (let count = 0; count < 128; count++) held.push(new Uint8Array(16 * 1024 * 1024).fill(1));
  return held.length;
};
