package cluster

import (
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
)

func limits() *config.Limits {
	return &config.Limits{
		MessageBytes: 8 << 20, Recipients: 100, BodyBytes: 2 << 20, SMSBodyRunes: 1600, WhatsAppBodyBytes: 4096,
		SubjectRunes: 255, MetaEntries: 50, MetaKeyRunes: 128, MetaValueRunes: 1024,
	}
}

// costly is text of which JSON makes as much as it can.
func costly(runes int) string { return strings.Repeat("\x1f", runes) }

// The largest dead letters and events that the models can write fit.
func TestSizesHoldTheLargestRecords(t *testing.T) {
	t.Parallel()
	l := limits()
	s := sizesOf(l)
	meta := map[string]string{models.MetaFailedRecipients: strings.Repeat(strings.Repeat(`"`, 254)+",", 300)}
	for i := range l.MetaEntries {
		meta[costly(l.MetaKeyRunes-3)+string(rune('0'+i/10))+string(rune('0'+i%10))] = costly(l.MetaValueRunes)
	}
	letter := models.DLQRecord{
		MessageID: costly(models.MaxKeyBytes), Channel: models.WhatsApp, OriginalMessage: models.NewOriginal(make([]byte, l.MessageBytes)),
		Attempts: 100, FailureType: models.FailureValidation, LastError: costly(models.MaxErrorRunes + 1), TraceID: costly(models.MaxTextRunes + 1),
		FirstFailedAt: time.Now(), LastAttemptAt: time.Now(), Meta: meta,
	}
	value, err := letter.Encode()
	if err != nil {
		t.Fatal(err)
	}
	beside := int64(models.MaxKeyBytes + keyAndHeaders + ownHeaders + framing)
	if got := int64(len(value)) + beside; got > s.dlq {
		t.Errorf("the largest dead letter has %d bytes, its topic takes %d", got, s.dlq)
	}
	if s.dlq > int64(len(value))+beside+64<<10 {
		t.Errorf("the dead letter topic takes %d bytes, far more than %d", s.dlq, int64(len(value))+beside)
	}
	notes := map[string]string{models.MetaOpenRecipients: strings.Repeat("299,", 300)}
	for i := range 300 {
		notes["deferred."+strings.Repeat("9", i%3+1)+time.Duration(i).String()] = costly(200)
	}
	event := models.StatusEvent{
		MessageID: costly(models.MaxKeyBytes), Channel: models.Email, EventType: models.EventRetry, Attempt: 99, Error: costly(models.MaxErrorRunes),
		TraceID: costly(models.MaxTextRunes), Timestamp: time.Now(),
		ProviderResponse: &models.ProviderResponse{Status: models.StatusPartial, Code: 450, Message: costly(models.MaxTextRunes), Raw: costly(models.MaxTextRunes), Meta: notes},
	}
	if value, err = event.Encode(); err != nil {
		t.Fatal(err)
	}
	if got := int64(len(value)) + models.MaxKeyBytes + ownHeaders + framing; got > statusBytes(l) || got > s.status {
		t.Errorf("the largest event has %d bytes, want at most %d", got, statusBytes(l))
	}
	if s.request != 8<<20+keyAndHeaders+framing {
		t.Errorf("the request topic takes %d bytes", s.request)
	}
}

func TestSmallLimitsKeepKafkasOwn(t *testing.T) {
	t.Parallel()
	l := limits()
	l.MessageBytes, l.MetaEntries = 1000, 1
	if got := sizesOf(l); got != (sizes{usualMax, usualMax, usualMax}) {
		t.Errorf("sizes %+v, want Kafka's default for batches", got)
	}
}

// there is a topic with that many partitions and replicas.
func there(name string, partitions, replicas int, settings map[string]string) *topic {
	t := &topic{name: name, settings: settings}
	for range partitions {
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Replicas = make([]int32, replicas)
		t.partitions = append(t.partitions, p)
	}
	return t
}

func TestDiff(t *testing.T) {
	t.Parallel()
	want := wanted{name: "t", partitions: 12, replication: 3, policy: "delete", amounts: []amount{{minISR, 2}, {retentionTime, 1000}, {maxBytes, 5000}}}
	same := map[string]string{minISR: "2", retentionTime: "1000", maxBytes: "5000", cleanupPolicy: "delete"}
	with := func(pairs ...string) map[string]string {
		m := map[string]string{}
		maps.Copy(m, same)
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	tests := []struct {
		name string
		is   *topic
		add  bool
		want string // setting, is, wanted, result of each change
	}{
		{"missing", &topic{err: kerr.UnknownTopicOrPartition}, false, "/missing/created"},
		{"forbidden", &topic{err: kerr.TopicAuthorizationFailed}, false, "/unknown/refused"},
		{"the same", there("t", 12, 3, same), false, "/12 partitions, replication 3/as wanted"},
		{"fewer partitions", there("t", 6, 3, same), false, "partitions/6/kept"},
		{"fewer partitions, to be added", there("t", 6, 3, same), true, "partitions/6/raised"},
		{"more partitions", there("t", 24, 3, same), true, "partitions/24/kept"},
		{"fewer replicas", there("t", 12, 1, with(minISR, "1")), false, "replication/1/kept min.insync.replicas/1/kept"},
		{"more of all", there("t", 12, 4, with(minISR, "3", retentionTime, "-1", maxBytes, "9999")), false, "replication/4/kept min.insync.replicas/3/kept retention.ms/-1/kept max.message.bytes/9999/kept"},
		{"less of all", there("t", 12, 3, with(minISR, "1", retentionTime, "10", maxBytes, "10")), false, "min.insync.replicas/1/raised retention.ms/10/raised max.message.bytes/10/raised"},
		{"compacted", there("t", 12, 3, with(cleanupPolicy, "compact,delete")), false, "cleanup.policy/compact,delete/kept"},
		{"settings not told", &topic{name: "t", partitions: there("t", 12, 3, nil).partitions, settingsErr: kerr.TopicAuthorizationFailed}, false, "settings/unknown/refused"},
	}
	for _, tt := range tests {
		var got []string
		for _, c := range diff(want, tt.is, tt.add) {
			got = append(got, c.Setting+"/"+c.Is+"/"+string(c.Result))
			if less := c.Result == Kept && (c.Setting == partitionSetting && c.Is < c.Wanted || c.Setting == cleanupPolicy) || c.Result == Refused; less && c.Note == "" {
				t.Errorf("%s: %+v says not what to do", tt.name, c)
			}
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, s, tt.want)
		}
	}
}

// The status topic keeps up with the request topic that is there.
func TestStatusFollowsRequests(t *testing.T) {
	t.Parallel()
	c := &config.Config{Limits: *limits()}
	c.Kafka.RequestTopic, c.Kafka.StatusTopic, c.Kafka.DLQTopic, c.Kafka.TempTopic = "r", "s", "d", "c"
	c.Kafka.Topic = config.Topic{Partitions: 12, Replication: 1, MinISR: 1, RetentionHours: 1}
	found := map[string]*topic{"r": there("r", 5, 1, map[string]string{retentionTime: "-1", retentionBytes: "7"})}
	for add, partitions := range map[bool]int{false: 5, true: 12} {
		s := wantedOf(c, found, add)[1]
		if s.partitions != partitions {
			t.Errorf("%d partitions, want %d", s.partitions, partitions)
		}
		if s.amounts[1] != (amount{retentionTime, math.MaxInt64}) || s.amounts[3] != (amount{retentionBytes, 7}) {
			t.Errorf("retention %+v, want the request topic's", s.amounts)
		}
	}
}

func TestSharedTopicsGetTheMostOfAll(t *testing.T) {
	t.Parallel()
	got := merge([]wanted{
		{name: "a", partitions: 1, replication: 3, policy: "delete", amounts: []amount{{maxBytes, 5}, {retentionTime, 9}}},
		{name: "b"},
		{name: "a", partitions: 4, replication: 1, amounts: []amount{{maxBytes, 7}, {retentionTime, 2}}},
	})
	if len(got) != 2 || got[0].String() != "4 partitions, replication 3, cleanup.policy=delete, max.message.bytes=7, retention.ms=9" {
		t.Errorf("%v", got)
	}
}

// What the loss of brokers has done, or would do, is told by its worst.
func TestReplication(t *testing.T) {
	t.Parallel()
	alive := func(replicas, insync int, minimum string) *topic {
		topic := there("t", 4, replicas, map[string]string{minISR: minimum})
		for i := range topic.partitions {
			topic.partitions[i].ISR = make([]int32, insync)
		}
		return topic
	}
	dead := alive(3, 3, "2")
	dead.partitions[1].Leader = -1
	tests := []struct {
		name    string
		brokers int
		is      *topic
		want    string
	}{
		{"well", 3, alive(3, 3, "2"), "ok 3 copies at least, all in sync"},
		{"one broker", 1, alive(1, 1, "1"), "ok one copy on the only broker"},
		{"one copy", 3, alive(1, 1, "1"), "warn t has one copy: the loss of its broker loses messages"},
		{"fewer copies than wanted", 3, alive(2, 2, "1"), "warn t has 2 copies, KAFKA_TOPIC_REPLICATION is 3"},
		{"one behind", 3, alive(3, 2, "2"), "warn t has 4 partitions with replicas that are not in sync"},
		{"too few in sync", 3, alive(3, 1, "2"), "FAIL t has 4 partitions with fewer replicas in sync than min.insync.replicas"},
		{"too few at all", 3, alive(3, 3, "4"), "FAIL t has 3 copies and min.insync.replicas=4"},
		{"no leader", 3, dead, "FAIL t has 1 partition without a leader"},
		{"missing", 3, &topic{err: kerr.UnknownTopicOrPartition}, "skipped"},
	}
	for _, tt := range tests {
		c := &config.Config{}
		if c.Kafka.Topic.Replication = 3; tt.brokers == 1 {
			c.Kafka.Topic.Replication = 1
		}
		f := (&checker{brokers: tt.brokers}).replication(t.Context(), &ofChannel{Config: c, lanes: []ofLane{{c, tt.is}}, status: tt.is, dlq: tt.is})
		if got := string(f.Verdict) + " " + f.Seen; !strings.HasPrefix(got, tt.want) || len(f.Advice) == 0 && f.Verdict != OK && f.Verdict != Skipped {
			t.Errorf("%s: %s (%v), want %s", tt.name, got, f.Advice, tt.want)
		}
	}
}

func TestGroupFinding(t *testing.T) {
	t.Parallel()
	two := kadm.DescribedGroup{State: "Stable", Members: make([]kadm.DescribedGroupMember, 2)}
	tests := []struct {
		g kadm.DescribedGroup
		lag
		want string
	}{
		{two, lag{waiting: 5}, "ok g: Stable, 2 workers, 5 requests waiting"},
		{kadm.DescribedGroup{State: "Dead"}, lag{}, "ok no worker has joined g yet, 0 requests waiting"},
		{kadm.DescribedGroup{State: "Empty"}, lag{waiting: 1}, "warn g: Empty, 0 workers, 1 request waiting"},
		{two, lag{open: 3}, "ok g: Stable, 2 workers, 0 requests waiting; 3 more in an open transaction, or behind one"},
		{two, lag{waiting: 1, lost: 7}, "FAIL g: Stable, 2 workers, 1 request waiting; 7 requests gone before they were read"},
	}
	for _, tt := range tests {
		f := groupFinding("g", tt.g, tt.lag)
		if got := string(f.Verdict) + " " + f.Seen; got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}
