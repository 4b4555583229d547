// Returns a status that is no number.
export default () => ({ status: Number.NaN, body: 'nothing' });
