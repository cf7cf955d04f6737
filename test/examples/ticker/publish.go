package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

// publication is one of a batch, as the server API takes it.
type publication struct {
	Room        string `json:"room"`
	Event       string `json:"event"`
	Data        quote  `json:"data"`
	ConflateKey string `json:"conflateKey"`
}

// publisher publishes through the server API. Safe for concurrent use.
type publisher struct {
	url    string // of /api/v1/publish/batch
	key    string
	client *http.Client
}

// publish publishes one price of each symbol. What fails is not repeated: the
// next prices say more than the last.
func (p *publisher) publish(ctx context.Context, quotes []quote) error {
	batch := struct {
		Publications []publication `json:"publications"`
	}{}
	for _, q := range quotes {
		// Of what waits for a slow member, a newer price of the symbol replaces
		// the older.
		batch.Publications = append(batch.Publications, publication{Room: "prices", Event: "price", Data: q, ConflateKey: q.Symbol})
	}
	body, err := json.Marshal(batch)
	if err != nil {
		return fmt.Errorf("encode the prices: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return outcome(resp)
}

// outcome is what an answer says.
func outcome(resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	var answer struct {
		Failed int    `json:"failed"` // publications
		Code   string `json:"code"`   // when the whole was refused
		Detail string `json:"detail"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("the gateway answers %s", resp.Status)
	}
	switch {
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", answer.Code, answer.Detail)
	case answer.Failed > 0:
		return fmt.Errorf("%d prices are not published", answer.Failed)
	}
	return nil
}
