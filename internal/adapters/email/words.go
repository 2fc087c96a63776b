package email

import "strings"

// stockWord reports whether s is a word that servers' replies are made of, or
// that names a role (RFC 2142). Where the local part of a mailbox is such a word
// and stands alone, it identifies nobody: a mail to busy@example.com does not
// hide what "mailbox busy" says.
func stockWord(s string) bool {
	_, found := stock[strings.ToLower(s)]
	return found
}

//nolint:gochecknoglobals // a constant, if a map could be one
var stock = func() map[string]struct{} {
	words := map[string]struct{}{}
	for word := range strings.FieldsSeq(`
		a an and any are as at be been by can cannot do does error errors failed failure for from had has have if in
		invalid is it its later may missing must my no not of ok on or our out please pls re so sorry than that the their
		them then there they this to too try until up us used using via was we were when while will with you your

		abuse accept accepted access account action active again allow allowed already answer antispam api auth
		authenticated authentication authorization away bad ban banned bare big blacklist blacklisted block blocked
		body bounce broken bulk busy callback caller cancel canceled carrier cert certificate channel check client
		closed closing code command completed config configuration confirm connect connection contact content country
		credentials daily data database day days dead default defer deferred delay delayed delivered delivery denied
		destination details detected device disabled disk dns domain down duplicate echo email empty enabled ended
		enough exceeded exist exists expired failed false fail fault field filter filtered first format forbidden
		full gateway gone good greeting greylist greylisted greylisting graylisted handset header helo hello
		help high host hour hourly html http https id inactive incoming info insufficient internal ip json key landline
		last late later length limit list local locked login long loop low mail mailbox mailer mails maintenance
		malformed malware many max maximum media memory message messages method minute minutes mobile moved mx name
		network never new news next noreply no-reply notfound null number numbers object offline okay old open operator
		original out over overquota overloaded param parameter parse partial password payload pending permanent
		permission permitted phone ping plain policy poor port postmaster private prohibited protocol provider proxy
		public queue queued quota range rate read received recipient recipients reject rejected relay relaying
		remote reply reputation request requests require required reset resource response restricted retry root
		sale sales second seconds secure security send sender sending sent server service session sid size slow smtp
		soon space spam spf stalled start started state status stop storage subject success suspended syntax system
		table temp template temporarily temporary tenant test text throttled throttling time timeout timed tls token
		tomorrow too transaction transient true type unable unauthorized unavailable undeliverable unknown unreachable
		unroutable unsubscribed unsupported url user username users valid validation value verification verify version
		virus wait webmaster whatsapp within words wrong www
	`) {
		words[word] = struct{}{}
	}
	return words
}()
