// Never finishes loading, and never yields.
for (;;);
export default () => 'never';
