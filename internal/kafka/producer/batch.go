package producer

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"time"

	"github.com/pierrec/lz4/v4"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka"
)

// Bounds of a batch. The largest is the client's own default, just below what
// a topic takes by default; a smaller limit than the least is the client's
// error.
const (
	batchMaxBytes   = 1_000_012
	batchLeastBytes = 512
)

// batchLimits knows how large a batch each topic takes, so that no batch is refused
// whose records would have been taken.
//
// The client asks for a topic's limit each time that its metadata arrive, and
// keeps the first answer. Its metadata wait meanwhile and so do the records of
// topics not seen before, and no others; so a topic is asked for once, not for
// long, and through a client of its own.
type batchLimits struct {
	client *kgo.Client
	log    zerolog.Logger

	mu    sync.Mutex
	known map[string]int32
}

// of returns the largest batch of a topic. Where the brokers do not tell, it
// is the default: what is refused then is sent again alone.
func (l *batchLimits) of(topic string) int32 {
	if topic == "" { // the client's look at its own options
		return batchMaxBytes
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n, ok := l.known[topic]; ok {
		return n
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	n, err := kafka.MaxMessageBytes(ctx, l.client, topic)
	if err != nil {
		l.log.Debug().Err(err).Str("topic", topic).Msg("the topic's max.message.bytes is not known")
		n = batchMaxBytes
	}
	l.known[topic] = int32(max(batchLeastBytes, min(n, batchMaxBytes)))
	return l.known[topic]
}

// compression returns the option that compresses batches as o says.
func compression(o kafka.Options) (kgo.Opt, error) {
	if strings.EqualFold(o.Compression, "lz4") {
		return kgo.WithCompressor(&lz4Compressor{sync.Pool{New: newLZ4}}), nil
	}
	codec, err := o.Codec()
	return kgo.ProducerBatchCompression(codec, kgo.NoCompression()), err
}

// lz4Compressor is the client's own LZ4 compressor but for its options. That
// one has a buffer of 4 MiB for each request that is written at once, and adds
// a checksum of the content, which a batch has already and which Java's
// producer leaves out too.
type lz4Compressor struct{ writers sync.Pool }

func newLZ4() any {
	w := lz4.NewWriter(nil)
	if err := w.Apply(lz4.BlockSizeOption(lz4.Block256Kb), lz4.ChecksumOption(false)); err != nil {
		panic(err) // these are constants
	}
	return w
}

// Compress implements kgo.Compressor.
func (c *lz4Compressor) Compress(dst *bytes.Buffer, src []byte, _ ...kgo.CompressFlag) ([]byte, kgo.CompressionCodecType) {
	w, ok := c.writers.Get().(*lz4.Writer)
	if !ok {
		return nil, kgo.CodecError
	}
	defer c.writers.Put(w)
	w.Reset(dst)
	if _, err := w.Write(src); err != nil {
		return nil, kgo.CodecError
	}
	if err := w.Close(); err != nil {
		return nil, kgo.CodecError
	}
	return dst.Bytes(), kgo.CodecLz4
}
