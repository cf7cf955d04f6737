// Reference writes config/README.md, the list of all environment variables, from
// the configuration's structs: names, units and defaults from the struct's tags,
// what they mean from the comments above the fields.
//
//	go generate ./config
package main
