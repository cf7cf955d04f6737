// Package npm installs the packages that tests run with Node.js. It is for tests
// alone.
package npm
