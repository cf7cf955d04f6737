// Package console drives every view of the console in Chromium, on two real
// gateways that share a Redis: by mouse and by keyboard alone, light and dark,
// at the width of a phone and of a desktop, with axe-core looking for what keeps
// people out. Pictures of every view are kept in bin/console, or in the folder
// of CONSOLE_SHOTS.
package console
