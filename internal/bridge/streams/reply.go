package streams

import "errors"

var errReply = errors.New("redis answered something else than entries")

// parseReply reads what the scripts take and left answer: entries, the length
// of the stream, where it ends or "", and how often the entries were delivered.
func parseReply(reply []any) (got batchOf, length int64, err error) {
	if len(reply) < 3 {
		return batchOf{}, 0, errReply
	}
	list, okList := reply[0].([]any)
	length, okLength := reply[1].(int64)
	end, okEnd := reply[2].(string)
	if !okList || !okLength || !okEnd {
		return batchOf{}, 0, errReply
	}
	got = batchOf{entries: make([]entry, len(list)), end: end}
	for i, item := range list {
		if got.entries[i], err = parseEntry(item); err != nil {
			return batchOf{}, 0, err
		}
	}
	if len(reply) > 3 {
		err = countDeliveries(got.entries, reply[3])
	}
	return got, length, err
}

// parseEntry reads an id and its fields; none when the entry was deleted.
func parseEntry(item any) (entry, error) {
	pair, _ := item.([]any)
	if len(pair) == 0 {
		return entry{}, errReply
	}
	e := entry{}
	var ok bool
	if e.id, ok = pair[0].(string); !ok {
		return entry{}, errReply
	}
	if len(pair) == 1 || pair[1] == nil {
		return e, nil
	}
	fields, ok := pair[1].([]any)
	if !ok {
		return entry{}, errReply
	}
	e.fields = make([]string, len(fields))
	for i, f := range fields {
		if e.fields[i], ok = f.(string); !ok {
			return entry{}, errReply
		}
	}
	return e, nil
}

// countDeliveries notes how often entries were delivered before.
func countDeliveries(entries []entry, deliveries any) error {
	counts, ok := deliveries.([]any)
	if !ok || len(counts) != len(entries) {
		return errReply
	}
	for i := range counts {
		n, ok := counts[i].(int64)
		if !ok {
			return errReply
		}
		entries[i].deliveries = int(n)
	}
	return nil
}
