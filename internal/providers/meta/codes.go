package meta

import "messaging-worker/internal/providers/api"

// Where Meta lists its codes, those that all of the Graph API shares, and those
// of its limits.
const (
	source      = "developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes"
	graphSource = "developers.facebook.com/docs/graph-api/guides/error-handling"
	rateSource  = "developers.facebook.com/docs/graph-api/overview/rate-limiting"
)

// Find returns what is known of a code: its line of the table, or that of the
// permissions, which are a range.
func Find(code int) (api.Code, bool) {
	if code >= 200 && code < 300 {
		return api.Code{Code: code, Class: api.SetUp, Scope: "account", Note: "permission missing", Source: source}, true
	}
	return Codes().Find(code)
}

// Codes is what the codes of Meta's Cloud API mean for a message. A code
// that is not here is classified by is_transient, then by the HTTP status.
//
//nolint:funlen // a table
func Codes() api.Codes {
	return api.Codes{
		{Code: 0, Class: api.SetUp, Scope: "account", Note: "authentication failed", Source: source, Credentials: true},
		{Code: 1, Class: api.Transient, Scope: "provider", Note: "unknown error", Source: source},
		{Code: 2, Class: api.Transient, Scope: "provider", Note: "service down", Source: source},
		{Code: 3, Class: api.SetUp, Scope: "account", Note: "capability or permission missing", Source: source},
		{Code: 4, Class: api.Throttled, Scope: "account", Note: "rate limit of the app", Source: source},
		{Code: 5, Class: api.SetUp, Scope: "account", Note: "our address is not on the app's list", Source: graphSource},
		{Code: 10, Class: api.SetUp, Scope: "account", Note: "permission missing", Source: source},
		{Code: 12, Class: api.SetUp, Scope: "account", Note: "this version of the API has ended: META_API_VERSION is too old", Source: graphSource},
		{Code: 17, Class: api.Throttled, Scope: "account", Note: "rate limit of the user", Source: source},
		{Code: 32, Class: api.Throttled, Scope: "account", Note: "rate limit of the page", Source: rateSource},
		{Code: 33, Class: api.SetUp, Scope: "account", Note: "phone number deleted or unknown", Source: source},
		{Code: 100, Class: api.Permanent, Scope: "message", Note: "invalid parameter; with error_subcode 33 a phone number id that does not exist or may not be used, which is set-up", Source: source},
		{Code: 101, Class: api.SetUp, Scope: "account", Note: "app unknown: its key is wrong", Source: graphSource, Credentials: true},
		{Code: 102, Class: api.SetUp, Scope: "account", Note: "access token expired, revoked or invalid", Source: graphSource, Credentials: true},
		{Code: 104, Class: api.SetUp, Scope: "account", Note: "access token or proof of the app's secret missing or wrong", Source: graphSource, Credentials: true},
		{Code: 190, Class: api.SetUp, Scope: "account", Note: "access token expired or invalid", Source: source, Credentials: true},
		{Code: 341, Class: api.Throttled, Scope: "account", Note: "limit of the app reached", Source: graphSource},
		{Code: 368, Class: api.SetUp, Scope: "account", Note: "account blocked for violating a policy", Source: source},
		{Code: 613, Class: api.Throttled, Scope: "account", Note: "rate limit of this kind of call", Source: rateSource},
		{Code: 803, Class: api.SetUp, Scope: "account", Note: "no such object: META_API_VERSION or the phone number id is wrong", Source: graphSource},
		{Code: 2500, Class: api.SetUp, Scope: "account", Note: "unknown path: META_API_VERSION is wrong", Source: graphSource},
		{Code: 2635, Class: api.SetUp, Scope: "account", Note: "this version of the API has ended: META_API_VERSION is too old", Source: graphSource},
		{Code: 80007, Class: api.Throttled, Scope: "account", Note: "rate limit of the business account", Source: source},
		{Code: 80008, Class: api.Throttled, Scope: "account", Note: "rate limit of the business account's management", Source: rateSource},
		{Code: 130429, Class: api.Throttled, Scope: "account", Note: "throughput of the number exceeded", Source: source},
		{Code: 130472, Class: api.Permanent, Scope: "recipient", Note: "recipient is part of an experiment", Source: source},
		{Code: 130497, Class: api.Permanent, Scope: "recipient", Note: "country not allowed", Source: source},
		{Code: 131000, Class: api.Transient, Scope: "provider", Note: "something went wrong", Source: source},
		{Code: 131005, Class: api.SetUp, Scope: "account", Note: "access denied", Source: source},
		{Code: 131008, Class: api.Permanent, Scope: "message", Note: "required parameter missing", Source: source},
		{Code: 131009, Class: api.Permanent, Scope: "message", Note: "parameter value invalid", Source: source},
		{Code: 131016, Class: api.Transient, Scope: "provider", Note: "service unavailable", Source: source},
		{Code: 131021, Class: api.Permanent, Scope: "recipient", Note: "sender and recipient are the same", Source: source},
		{Code: 131026, Class: api.Permanent, Scope: "recipient", Note: "undeliverable", Source: source},
		{Code: 131030, Class: api.Permanent, Scope: "recipient", Note: "recipient is not on the list of a test number", Source: source},
		{Code: 131031, Class: api.SetUp, Scope: "account", Note: "account locked", Source: source},
		{Code: 131037, Class: api.SetUp, Scope: "sender", Note: "display name not approved", Source: source},
		{Code: 131042, Class: api.SetUp, Scope: "account", Note: "payment or eligibility problem", Source: source},
		{Code: 131045, Class: api.SetUp, Scope: "account", Note: "certificate problem", Source: source},
		{Code: 131047, Class: api.Permanent, Scope: "recipient", Note: "outside the 24 h window: a template is needed", Source: source},
		{Code: 131048, Class: api.Permanent, Scope: "sender", Note: "spam rate limit: the quality of our number", Source: source},
		{Code: 131049, Class: api.Permanent, Scope: "recipient", Note: "not delivered to keep the ecosystem healthy", Source: source},
		{Code: 131050, Class: api.Permanent, Scope: "recipient", Note: "recipient has opted out", Source: source},
		{Code: 131051, Class: api.Permanent, Scope: "message", Note: "message type not supported", Source: source},
		{Code: 131052, Class: api.Permanent, Scope: "message", Note: "media could not be downloaded", Source: source},
		{Code: 131053, Class: api.Permanent, Scope: "message", Note: "media could not be uploaded", Source: source},
		{Code: 131056, Class: api.Throttled, Scope: "recipient", Note: "too many messages to this recipient", Source: source},
		{Code: 131057, Class: api.Transient, Scope: "provider", Note: "maintenance", Source: source},
		{Code: 131060, Class: api.Transient, Scope: "provider", Note: "message unavailable", Source: source},
		{Code: 132000, Class: api.Permanent, Scope: "message", Note: "number of template parameters does not match", Source: source},
		{Code: 132001, Class: api.Permanent, Scope: "message", Note: "template does not exist in that language", Source: source},
		{Code: 132005, Class: api.Permanent, Scope: "message", Note: "template text too long", Source: source},
		{Code: 132007, Class: api.Permanent, Scope: "message", Note: "template violates a policy", Source: source},
		{Code: 132012, Class: api.Permanent, Scope: "message", Note: "template parameter of the wrong format", Source: source},
		{Code: 132015, Class: api.Permanent, Scope: "message", Note: "template paused", Source: source},
		{Code: 132016, Class: api.Permanent, Scope: "message", Note: "template disabled", Source: source},
		{Code: 132068, Class: api.Permanent, Scope: "message", Note: "flow blocked", Source: source},
		{Code: 132069, Class: api.Throttled, Scope: "message", Note: "flow throttled", Source: source},
		{Code: 133000, Class: api.SetUp, Scope: "account", Note: "incomplete deregistration", Source: source},
		{Code: 133004, Class: api.Transient, Scope: "provider", Note: "server unavailable", Source: source},
		{Code: 133005, Class: api.SetUp, Scope: "account", Note: "two-step PIN does not match", Source: source},
		{Code: 133006, Class: api.SetUp, Scope: "account", Note: "number must be verified", Source: source},
		{Code: 133008, Class: api.SetUp, Scope: "account", Note: "too many PIN guesses", Source: source},
		{Code: 133009, Class: api.SetUp, Scope: "account", Note: "PIN guessed too fast", Source: source},
		{Code: 133010, Class: api.SetUp, Scope: "account", Note: "phone number not registered", Source: source},
		{Code: 133015, Class: api.Transient, Scope: "provider", Note: "number deleted too recently", Source: source},
		{Code: 133016, Class: api.Throttled, Scope: "account", Note: "too many registrations", Source: source},
		{Code: 134011, Class: api.SetUp, Scope: "account", Note: "payment terms not accepted", Source: source},
		{Code: 135000, Class: api.Permanent, Scope: "message", Note: "parameters could not be understood", Source: source},
		{Code: 135001, Class: api.SetUp, Scope: "account", Note: "account not set up", Source: source},
	}
}
