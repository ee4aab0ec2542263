// Package ext stands for the nested module of that name, which Traefik's own module names by a path and whose files
// are therefore in no module zip. There it is the place for extensions of other editions; here, as there, it has none.
package ext

// HTTP would extend the dynamic configuration's HTTP part.
type HTTP struct{}

// Router would extend an HTTP router.
type Router struct{}
