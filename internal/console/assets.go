package console

import (
	"embed"
	"io/fs"
	"path"
	"strings"
)

// assets are the page's files: what stands in the folder is served.
//
//go:embed assets
var assets embed.FS

// The media types of the files.
const (
	typeHTML = "text/html; charset=utf-8"
	typeJSON = "application/json"
)

// mediaTypes by the end of a file's name. What has another end is not served.
var mediaTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// files are the embedded files by path: the page at "/", all others under
// "/console/".
func files() map[string]*file {
	all := map[string]*file{}
	// Reading what is embedded cannot fail.
	_ = fs.WalkDir(assets, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(assets, name)
		if err != nil {
			return err
		}
		if name == "assets/index.html" {
			all["/"] = newFile(typeHTML, string(body))
		} else if mediaType, ok := mediaTypes[path.Ext(name)]; ok {
			all["/console/"+strings.TrimPrefix(name, "assets/")] = newFile(mediaType, string(body))
		}
		return nil
	})
	return all
}
