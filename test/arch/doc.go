// Package arch keeps the rules that a compiler does not: who may import whom,
// that there is no state outside values, and the limits of size, complexity
// and documentation. The rules are ordinary tests over the parsed source of
// the whole module, with the standard library alone; each failure says why its
// rule exists, and each rule has snippets that it must flag and must not.
package arch
