package console

import "fmt"

// Settings are the operator's about the page.
type Settings struct {
	// Enabled is true or false; empty: on where development identities are
	// served. What the page shows of the server API needs a key in any case.
	Enabled string `env:"CONSOLE_ENABLED"`
}

// Validate names what is wrong with the settings.
func (s Settings) Validate() error {
	switch s.Enabled {
	case "", "true", "false":
		return nil
	}
	return fmt.Errorf("CONSOLE_ENABLED %q: want true, false or nothing, which is true in development alone", s.Enabled)
}

// Serve tells whether the page is to be served.
func (s Settings) Serve(development bool) bool {
	return s.Enabled == "true" || s.Enabled == "" && development
}
