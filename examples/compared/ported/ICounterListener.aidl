// SPDX-License-Identifier: Apache-2.0

package demo;

oneway interface ICounterListener {
  void onChanged(int value);
}
