// Loops for ever while it loads.
for (;;);
export default () => 'never';
