"""Small nets as specs."""

RESIDUAL = """
name: residual
input: [3, 17, 14]
layers:
  - conv: {out: 4, kernel: 3, stride: 2, padding: 1, bias: false}
  - batch_norm
  - relu
  - residual:
      body:
        - conv: {out: 6, kernel: [3, 1], stride: 2, padding: [1, 0]}
        - batch_norm
        - relu6
      shortcut:
        - conv: {out: 6, kernel: 1, stride: 2}
  - max_pool: {kernel: 3, stride: 1, padding: 1}
  - hardswish
  - concat:
      - [{conv: {out: 4, kernel: 3, dilation: 2, padding: same}}, {channel_shuffle: {groups: 2}}]
      - [{avg_pool: {kernel: 3, stride: 1, padding: 1}}]
  - upsample: {scale_factor: 2, mode: bilinear}
  - conv_transpose: {out: 6, kernel: 3, stride: 2, padding: 1, output_padding: 1}
  - global_avg_pool
  - flatten
  - linear: {out: 5}
  - softmax
"""

GATED = """
name: gated
input: {left: [4, 10], right: [4, 10]}
layers:
  - subtract: {from: [left, right]}
  - pad: {padding: 1, value: 2.0}
  - conv: {out: 8, kernel: 3, groups: 2, name: wide}
  - split: {chunks: 2}
  - multiply: [[sigmoid], [tanh]]
  - conv: {out: 4, kernel: 1, share: first, name: first}
  - maximum: {from: [-1, left]}
"""
