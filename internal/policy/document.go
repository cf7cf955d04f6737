package policy

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// MaxDocumentBytes bounds a policy document.
const MaxDocumentBytes = 1 << 20

// Document is a policy as users write it.
type Document struct {
	Version Whole       `yaml:"version"` // 1
	Rooms   []RoomRule  `yaml:"rooms"`
	Routes  []RouteRule `yaml:"routes"`
}

// RoomRule is one entry of rooms.
type RoomRule struct {
	Match      string   `yaml:"match"`
	Join       string   `yaml:"join"`       // nobody, backend, authenticated, ask, anyone
	Publish    string   `yaml:"publish"`    // nobody, backend, member, authenticated, anyone; user:* backend, owner
	History    *History `yaml:"history"`    // absent: nothing is kept; user:* the default
	Presence   bool     `yaml:"presence"`   // whether the room lists its members
	Slow       string   `yaml:"slow"`       // disconnect (default), drop_oldest, conflate
	Durability string   `yaml:"durability"` // async (default), replicated
}

// History says what a room keeps.
type History struct {
	Size Whole  `yaml:"size"` // publications, 0 to MaxHistorySize
	Age  string `yaml:"age"`  // Go duration up to MaxHistoryAge; absent: no bound
}

// Whole is an int that a document writes as one: the YAML library would read
// 0.9 as 0 and "10" as 10.
type Whole int

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (w *Whole) UnmarshalYAML(node ast.Node) error {
	if _, ok := node.(*ast.IntegerNode); !ok {
		return &yaml.SyntaxError{Token: node.GetToken(), Message: "must be a whole number"}
	}
	return yaml.NodeToValue(node, (*int)(w))
}

// The levels that Default knows (SECURITY_LEVEL).
const (
	Minimal  = "minimal"
	Standard = "standard"
	Strict   = "strict"
)

//go:embed defaults/*.yaml
var defaults embed.FS

// Default returns the embedded document of a security level.
func Default(level string) ([]byte, error) {
	switch level {
	case Minimal, Standard, Strict:
	default:
		return nil, fmt.Errorf("policy: no default for level %q", level)
	}
	data, err := defaults.ReadFile("defaults/" + level + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("policy: default for level %q: %w", level, err)
	}
	return data, nil
}

// Parse reads and compiles a YAML document. Unknown and repeated keys are
// errors, with their line.
func Parse(data []byte) (*Policy, error) {
	if len(data) > MaxDocumentBytes {
		return nil, fmt.Errorf("policy: the document is larger than %d bytes", MaxDocumentBytes)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	var doc Document
	switch err := decode(dec, &doc); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("policy: the document is empty")
	case err != nil:
		return nil, fmt.Errorf("policy: %s", yaml.FormatError(err, false, true))
	}
	if err := decode(dec, new(Document)); !errors.Is(err, io.EOF) {
		return nil, errors.New("policy: more than one YAML document")
	}
	p, err := Compile(doc)
	if err != nil {
		return nil, err
	}
	p.Text = string(data)
	return p, nil
}

// decode reads the next document. The library panics on some malformed ones
// ("rooms: !x 1"), and a broken file must not end a gateway that reloads it.
func decode(dec *yaml.Decoder, doc *Document) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the document is not YAML that can be read")
		}
	}()
	return dec.Decode(doc)
}
