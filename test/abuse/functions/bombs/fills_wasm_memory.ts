// Grows WebAssembly memories, touching every page; 2 GiB at most.
export default () => {
  const held = [];
  for (let count = 0; count < 32; count++) {
    const memory = new WebAssembly.Memory({ initial: 1024 });
    new Uint8Array(memory.buffer).fill(1);
    held.push(memory);
  }
  return held.length;
};
