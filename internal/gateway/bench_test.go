package gateway

import (
	"net/http/httptest"
	"testing"
)

// BenchmarkAdmit is what a request costs before its upgrade: admission,
// credentials and authentication in development.
func BenchmarkAdmit(b *testing.B) {
	s := &stage{}
	g := s.gateway(b, Config{}, true)
	r := upgrade(with("Origin", "http://localhost:9007"), with("Sec-WebSocket-Protocol", "gateway.v1, "+protocolOf("ann")))
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		g.ServeHTTP(w, r)
	}
}
