package roomlog

import (
	"testing"

	"github.com/moonx-farm/ws-gateway/internal/redisconn"
	"github.com/moonx-farm/ws-gateway/internal/redisconn/redistest"
)

// questions are what must hold on every kind of Redis.
func questions() map[string]func(*rig) {
	return map[string]func(*rig){
		"a publication is stored and sent as it was given":     askAPublicationIsStoredAndSentAsItWasGiven,
		"a nonce is stored once":                               askANonceIsStoredOnce,
		"a key is used once":                                   askAKeyIsUsedOnce,
		"a room without history keeps nothing":                 askARoomWithoutHistoryKeepsNothing,
		"a room that stops keeping history begins a new epoch": askARoomThatStopsKeepingHistoryBeginsANewEpoch,
		"rooms with odd names are rooms":                       askRoomsWithOddNamesAreRooms,
		"what is in the log holds":                             askWhatIsInTheLogHolds,
		"a log that was rolled back goes on in a new epoch":    askALogThatWasRolledBackGoesOnInANewEpoch,
		"an empty room has a position that stays":              askAnEmptyRoomHasAPositionThatStays,
		"a log is read from what is kept":                      askALogIsReadFromWhatIsKept,
	}
}

// askAll asks every question, each with a prefix of its own.
func askAll(t *testing.T, at redisconn.Config) {
	for name, ask := range questions() {
		t.Run(name, func(t *testing.T) { ask(start(t, at, Config{})) })
	}
}

func TestTheLogsOnASingleServer(t *testing.T) { askAll(t, redistest.Single(t).Config()) }

func TestTheLogsOnACluster(t *testing.T) {
	nodes := redistest.Cluster(t)
	askAll(t, redistest.ClusterConfig(nodes))
	for _, q := range []struct {
		name string
		ask  func(*testing.T, []*redistest.Server)
	}{
		{"many claims share round trips", askManyClaims},
		{"a room goes on when its slot has moved", askMovedSlot},
		{"a replicated publish finds its slot too", askMovedReplicas},
	} {
		t.Run(q.name, func(t *testing.T) { q.ask(t, nodes) })
	}
}
