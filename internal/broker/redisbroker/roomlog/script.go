package roomlog

import (
	"crypto/sha1" //nolint:gosec // how Redis names scripts
	"embed"
	"encoding/hex"
)

//go:embed scripts/*.lua
var files embed.FS

// script is one that servers keep by the digest of its source. Immutable.
type script struct {
	source string
	sha    string
}

// scripts are all there are. Immutable.
type scripts struct {
	publish, read, verify *script
}

// flagsOfReaders lets a script run when Redis is out of memory: reading is what
// clients do then. The metadata that it may make is small.
const flagsOfReaders = "#!lua flags=allow-oom\n"

func newScripts() scripts {
	common := source("common")
	return scripts{
		publish: newScript(source("publish")),
		read:    newScript(flagsOfReaders + common + source("read")),
		verify:  newScript(flagsOfReaders + common + source("verify")),
	}
}

// source is a file of the program: it is there.
func source(name string) string {
	text, _ := files.ReadFile("scripts/" + name + ".lua")
	return string(text)
}

func newScript(source string) *script {
	sum := sha1.Sum([]byte(source)) //nolint:gosec // how Redis names scripts
	return &script{source: source, sha: hex.EncodeToString(sum[:])}
}
