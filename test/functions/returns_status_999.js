// Returns a status that HTTP does not have.
export default () => ({ status: 999, body: 'beyond' });
