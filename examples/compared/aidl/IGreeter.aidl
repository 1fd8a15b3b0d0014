// SPDX-License-Identifier: Apache-2.0

package demo;

interface IGreeter {
  String hello(String who);
}
