// Returns Response.error(), a network error.
export default () => Response.error();
