//! The tests of a file, once for each agent that its rules hold for.

/// Makes a module an agent, with a test a rule: a function of the file that takes the [`Kind`](crate::kind::Kind).
///
/// Either the rules are the same for all, and stand first in brackets, or each agent names its own.
macro_rules! agents {
    ($rules:tt $($name:ident => $kind:ident;)*) => { $(agents!(@ $name $kind $rules);)* };
    ($($name:ident => $kind:ident: $($rule:ident)*;)*) => { $(agents!(@ $name $kind [$($rule)*]);)* };
    (@ $name:ident $kind:ident [$($rule:ident)*]) => {
        mod $name {
            use super::*;
            $(
                #[test]
                fn $rule() {
                    super::$rule(Kind::$kind);
                }
            )*
        }
    };
}
