// Package auth turns a credential into an identity (the plan's AuthService).
package auth
