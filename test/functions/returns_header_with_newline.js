// Returns a header that would split the answer.
export default () => ({ status: 200, headers: { 'x-split': 'a\r\nx-injected: yes' }, body: 'split' });
