// Fills the heap.
export default () => {
  const held = [];
  for (;;) held.push({ text: `${Math.random()}`.repeat(10) });
};
