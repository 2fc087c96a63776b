package producer

import (
	"bytes"
	"strings"
	"sync"

	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka"
)

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
