// A regular expression that takes exponential time.
export default () => String(/^(\w+\s?)+$/.test(`${'a'.repeat(60)}!`));
