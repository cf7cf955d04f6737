package bridge

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config holds the settings of webhooks, and what requests are signed with.
type Config struct {
	// SigningSecrets sign what is sent to backends, each on its own, so that a
	// new one can be taken into use before the old one is given up.
	SigningSecrets []string `env:"SIGNING_SECRETS" secret:"true"`
	// WebhookURL takes events; empty: nobody is told.
	WebhookURL string `env:"WEBHOOK_URL"`
	// WebhookEvents are the kinds of events that it takes.
	WebhookEvents []string `env:"WEBHOOK_EVENTS" envDefault:"connect,disconnect,room_occupied,room_vacated"`
	// WebhookTimeout bounds one request.
	WebhookTimeout time.Duration `env:"WEBHOOK_TIMEOUT" envDefault:"5s"`
	// WebhookRetryFor is how long events are tried before they are dropped.
	WebhookRetryFor time.Duration `env:"WEBHOOK_RETRY_FOR" envDefault:"5m"`
	// WebhookQueue bounds the events that wait; the oldest are dropped.
	WebhookQueue int `env:"WEBHOOK_QUEUE" envDefault:"10000"`

	// Instance and Version say who asks; they are no settings.
	Instance, Version string
}

const (
	minSecret = 16
	maxQueue  = 1_000_000
)

// Validate names what is wrong with the settings. Secrets are not shown.
func (c Config) Validate() error {
	var faults []error
	for i, secret := range c.SigningSecrets {
		if len(secret) < minSecret {
			faults = append(faults, fmt.Errorf("SIGNING_SECRETS: secret %d is shorter than %d bytes", i+1, minSecret))
		}
	}
	if c.WebhookURL != "" {
		faults = append(faults, c.validURL(), c.validEvents())
	}
	for name, d := range map[string]time.Duration{"WEBHOOK_TIMEOUT": c.WebhookTimeout, "WEBHOOK_RETRY_FOR": c.WebhookRetryFor} {
		if d <= 0 {
			faults = append(faults, fmt.Errorf("%s %s: want more than 0", name, d))
		}
	}
	if c.WebhookQueue < 1 || c.WebhookQueue > maxQueue {
		faults = append(faults, fmt.Errorf("WEBHOOK_QUEUE %d: want 1 to %d", c.WebhookQueue, maxQueue))
	}
	return errors.Join(faults...)
}

func (c Config) validURL() error {
	u, err := url.Parse(c.WebhookURL)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.User != nil, u.Fragment != "":
		return errors.New("WEBHOOK_URL: want http or https with a host, without user and fragment")
	case len(c.SigningSecrets) == 0:
		return errors.New("WEBHOOK_URL is set: set SIGNING_SECRETS too, so that the receiver can tell who sends")
	}
	return nil
}

func (c Config) validEvents() error {
	for _, kind := range c.WebhookEvents {
		if !slices.Contains(Kinds(), kind) {
			return fmt.Errorf("WEBHOOK_EVENTS %q: want some of %s", kind, strings.Join(Kinds(), ", "))
		}
	}
	return nil
}
