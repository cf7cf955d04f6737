package console

import (
	_ "embed" // the page's files
)

// The page's files, embedded as strings so that nothing can change them.
var (
	//go:embed assets/index.html
	indexHTML string
	//go:embed assets/theme.css
	themeCSS string
	//go:embed assets/style.css
	styleCSS string
	//go:embed assets/frames.css
	framesCSS string
	//go:embed assets/icon.svg
	iconSVG string
	//go:embed assets/app.js
	appJS string
	//go:embed assets/book.js
	bookJS string
	//go:embed assets/client.js
	clientJS string
	//go:embed assets/frames.js
	framesJS string
	//go:embed assets/rooms.js
	roomsJS string
	//go:embed assets/json.js
	jsonJS string
	//go:embed assets/words.js
	wordsJS string
)

// The media types of the files.
const (
	typeHTML = "text/html; charset=utf-8"
	typeCSS  = "text/css; charset=utf-8"
	typeJS   = "text/javascript; charset=utf-8"
	typeSVG  = "image/svg+xml"
	typeJSON = "application/json"
)

// files are the embedded files by path.
func files() map[string]*file {
	return map[string]*file{
		"/":                   newFile(typeHTML, indexHTML),
		"/console/theme.css":  newFile(typeCSS, themeCSS),
		"/console/style.css":  newFile(typeCSS, styleCSS),
		"/console/frames.css": newFile(typeCSS, framesCSS),
		"/console/icon.svg":   newFile(typeSVG, iconSVG),
		"/console/app.js":     newFile(typeJS, appJS),
		"/console/book.js":    newFile(typeJS, bookJS),
		"/console/client.js":  newFile(typeJS, clientJS),
		"/console/frames.js":  newFile(typeJS, framesJS),
		"/console/rooms.js":   newFile(typeJS, roomsJS),
		"/console/json.js":    newFile(typeJS, jsonJS),
		"/console/words.js":   newFile(typeJS, wordsJS),
	}
}
