// Never finishes loading: a promise at the top of the module stays open.
await new Promise(() => setInterval(() => {}, 1000));
export default () => 'never';
