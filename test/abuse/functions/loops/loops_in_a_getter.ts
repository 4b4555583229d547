// The loop is in what the platform reads of the answer.
export default () => ({
  get status() {
    for (;;);
  },
});
