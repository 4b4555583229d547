// Fills the heap with 8 million objects.
export default () => {
  const held = [];
  for (let count = 0; count < 8_000_000; count++) held.push({ text: `${Math.random()}`.repeat(10) });
  return held.length;
};
