// Never gives the event loop back.
export default () => {
  for (;;);
};
