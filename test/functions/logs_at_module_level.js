// Logs while it loads.
console.warn('the module loads');
export default () => 'loaded';
