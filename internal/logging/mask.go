package logging

import (
	"net/url"
	"regexp"
	"strings"
)

// Masked stands for a secret.
const Masked = "(secret)"

// MaskURL masks what may be secret in a text that is a URL: the userinfo and the
// query. Where it is none, but looks as if a password stood in it, everything up
// to the last @ is masked.
func MaskURL(text string) string {
	u, err := url.Parse(text)
	if err == nil && u.Scheme != "" && u.Host != "" {
		return maskParts(text, u)
	}
	return maskUnread(text)
}

// maskUnread masks in what could not be read as a URL.
func maskUnread(text string) string {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		if at := strings.LastIndexByte(text, '@'); at >= 0 && strings.Contains(text[:at], ":") {
			return Masked + text[at:]
		}
		return text
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = Masked + rest[at:]
	}
	if before, _, query := strings.Cut(rest, "?"); query {
		rest = before + "?" + Masked
	}
	return scheme + "://" + rest
}

// maskParts masks the parts of a URL that are there, and leaves the others as
// they were written.
func maskParts(text string, u *url.URL) string {
	if u.User == nil && u.RawQuery == "" {
		return text
	}
	out := u.Scheme + "://"
	if u.User != nil {
		out += Masked + "@"
	}
	out += u.Host + u.EscapedPath()
	if u.RawQuery != "" {
		out += "?" + Masked
	}
	return out
}

// urls are the URLs within a text such as YAML.
var urls = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>\]}]+`)

// MaskURLs masks what may be secret in all URLs of a text.
func MaskURLs(text string) string { return urls.ReplaceAllStringFunc(text, MaskURL) }
