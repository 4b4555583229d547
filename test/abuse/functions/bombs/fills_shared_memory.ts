// Fills shared array buffers, which are counted nowhere in the heap; 2 GiB at most.
export default () => {
  const held = [];
  for (let count = 0; count < 128; count++) {
    const buffer = new SharedArrayBuffer(16 * 1024 * 1024);
    new Uint8Array(buffer).fill(1);
    held.push(buffer);
  }
  return held.length;
};
