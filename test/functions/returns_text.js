// Returns a string from a default function.
export default () => 'just text';
