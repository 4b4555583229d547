// Fills the heap while it loads.
const held = [];
for (;;) held.push({ text: `${Math.random()}`.repeat(10) });
export default () => 'never';
