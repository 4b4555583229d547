// Waits for ever while it loads.
await new Promise(() => {});
export default () => 'never';
