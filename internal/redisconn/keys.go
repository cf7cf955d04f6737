package redisconn

import "strings"

const slotCount = 16384

// Key is the name of a key or channel: the prefix, the kind, and the tag in
// braces. In a cluster all keys with the same tag are on one shard, whatever
// characters the tag holds.
func (m *Manager) Key(kind, tag string) string {
	return m.cfg.Prefix + kind + ":{" + hashable(tag) + "}"
}

// hashable makes a tag that would hash as if there were none begin with a "%".
// Redis takes what stands between the first "{" and the next "}", and the
// whole key when that is nothing.
func hashable(tag string) string {
	if tag == "" || tag[0] == '}' || tag[0] == '%' {
		return "%" + tag
	}
	return tag
}

// slotOf is the slot of all keys with the tag.
func slotOf(tag string) int {
	hashed, _, _ := strings.Cut(hashable(tag), "}")
	var crc uint16
	for i := range len(hashed) {
		crc = crc<<8 ^ crc16[byte(crc>>8)^hashed[i]]
	}
	return int(crc % slotCount)
}
