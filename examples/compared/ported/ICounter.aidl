// SPDX-License-Identifier: Apache-2.0

package demo;

import demo.ICounterListener;

interface ICounter {
  const int NEGATIVE = 1;

  int increment(int by);
  void registerListener(ICounterListener listener);
}
